"""Step validation: what the reference does, step by step, against a model that is proved.

The model's state is carried along beside a running cluster. Each thing that a broker does must be
an action that the model allows then, and must leave what the model says.
"""

from conformance.refinement.observer import RefinementObserver
from conformance.refinement.refusal import ModelRefused, Refusal

__all__ = ["ModelRefused", "RefinementObserver", "Refusal"]
