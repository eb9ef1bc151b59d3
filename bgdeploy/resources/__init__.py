"""One class for each kind of AWS resource a stack is made of. Each knows five verbs and nothing of the others' state."""
