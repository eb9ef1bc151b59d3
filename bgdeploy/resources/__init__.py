"""One class for each kind of AWS resource that a stack is made of. Each knows five verbs, and how to tell drift."""
