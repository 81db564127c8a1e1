"""Does a measure taken before training foretell what aligning a pair of blocks does, over finished studies?"""
