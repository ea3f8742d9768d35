"""The standard: numbered clauses, verdicts, and the record that every checker leaves behind."""
