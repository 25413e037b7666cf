"""What a snapshot reads of types, collations, conversions and text search.

    queries     every statement that this package sends

What belongs here: the statements alone.  What does not belong here: when they are sent
(`catalog/questions.py`), and the values that they become (`catalog/snapshot.py`).
"""
