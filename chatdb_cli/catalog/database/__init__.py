"""What a snapshot reads of schemas and of the objects that are in no schema.

    queries     every statement that this package sends

What belongs here: the statements alone.  What does not belong here: when they are sent
(`catalog/questions.py`), and the values that they become (`catalog/snapshot.py`).
"""
