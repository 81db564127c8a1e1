"""What may stand in the teacher's place, as a control: one file each, found by its name."""
