"""What Z3 is told about a model, and how it is asked.

terms.py      one evaluator of expressions into known values and SMT-LIB text
finite.py     finite instances: bit-vectors, tables of cells, quantifiers unrolled
unbounded.py  any size: uninterpreted sorts, integers, functions, quantifiers
solver.py     Z3 sessions and queries
"""
