"""Weights of file_ranking.marks, one table for each mark: log odds that a file with it is the one read next.

Fitted once, on the file reads that begin a turn in recorded sessions of one coding agent (softmax over the files
compared, L2 of 2). What else a turn reads counts a quarter, and so does what is read one turn later.
"""

TABLES: tuple[tuple[float, ...], ...] = (
    # what was done with it last: nothing; then by age, if it was read, edited or searched
    (
        *(-0.37,),
        *(0.83, 0.26, 0.22, 0.11, 0.01, -0.69, -0.38, -0.93),
        *(1.92, 0.06, -0.5, -0.4, -0.37, -0.69, -1.0, -0.54),
        *(2.83, 1.19, 0.35, -0.09, -0.83, -0.37, -0.3, -0.31),
    ),
    # outputs that named it: never; then by age, if it was read before or not
    (-0.37, 1.7, -0.08, -0.28, -0.28, -0.49, -0.34, -0.5, -0.52, 2.82, 0.96, -0.1, -0.33, -0.75, -0.56, -0.75, -0.13),
    # the user naming it: as before
    (-0.68, 1.05, -0.02, -0.4, -0.28, -0.1, -0.41, -0.16, -0.28, 2.22, 0.67, -0.21, 0.0, -0.36, -0.33, -0.39, -0.32),
    # reads: 0, 1, 2, more; each without and with a later edit
    (-0.38, 0.16, -0.36, -0.12, -0.01, 0.1, 0.3, 0.3),
    # outputs that named it: 0, 1, 2-3, 4-7, 8-15, more
    (-0.37, -0.28, -0.18, 0.13, 0.19, 0.51),
    # elsewhere; beside the file acted on last, read before; beside it, unread
    (-0.34, 0.03, 0.31),
    # never followed the file acted on last; did; did the last time
    (-0.37, 0.25, 0.12),
    # other; program; text; settings; lock files and logs
    (-1.73, 1.3, 0.56, 0.66, -0.79),
    # no test, read before or unread; test, read before or unread
    (0.12, 0.29, 0.09, -0.51),
    # a row for each thing that happened last: its place in this turn's outputs (none, 0 to 2, later), read or unread
    (
        *(0.41, -0.41, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.26, -0.31, -0.18, 0.37, 0.36, 0.06, 0.0, -0.14, -0.32, 0.43),
        *(0.22, -0.22, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.91, -0.84, 0.31, 0.68, -0.73, 0.53, -0.31, 0.42, 0.5, 0.35),
        *(-0.72, -0.32, 0.49, 0.16, -0.28, 0.2, 0.13, 0.23, 0.21, -0.11),
        *(-0.03, -0.18, 0.56, 0.16, -0.32, 0.44, 0.14, -0.32, 0.28, -0.74),
        *(0.25, 0.02, -0.07, 0.25, -0.08, 0.11, 0.57, -0.37, 0.01, -0.68),
        *(0.2, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.64, -0.58, 0.21, -0.19, 0.01, 0.22, -0.01, 1.02, 0.23, -0.25),
    ),
    # not in the latest list of files; then by what happened last: in it; its first unread one
    (
        *(-0.31,),
        *(-0.53, 0.25, -0.4, 0.42, -0.23, 1.3, -0.69, -0.6, -0.15, 0.25),
        *(-0.01, -0.49, -0.24, 0.22, 0.53, 0.4, -0.07, 0.36),
    ),
    # not named by the model lately; acted on since, named first, named later; each read before or unread
    (-0.4, -0.65, 0.29, 0.12, 1.4, -0.62, -0.14),
    # unread; then by what happened last (a row each): a part or the whole was read, of another or of the last file
    (
        *(-0.22,),
        *(-0.21, 0.24, 0.29, 0.1, -0.27, 1.02, -0.09, -1.07, 0.14, -0.16, 0.17, 0.07),
        *(-0.1, 0.13, -0.2, -0.97, -0.02, 0.08, 0.04, -0.26, 0.02, -0.11, 0.79, -0.07),
        *(0.18, -0.26, 0.49, 0.26, -0.54, 0.48, -0.42, 0.68, 0.48, -0.35, 0.19, -0.54),
    ),
    # no kin; then by what happened last: test or tested of the last file, read or unread; at the end: of the same name
    (
        *(-0.38,),
        *(-0.01, 0.28, -0.47, -0.02, -0.29, 1.05, -0.42, -0.2, -0.64, -0.37),
        *(0.98, 0.01, 0.51, -0.14, -0.34, -0.35, 0.4, 0.31, 0.1),
    ),
    # the last file, or there is none; how much the beginnings of their names share
    (0.17, -0.18, 0.1, 0.27, -0.48, 0.12),
    # words of its stem that the user's last words hold: no words; then none, one, more, each some or all of them
    (0.0, -0.35, 0.0, -0.21, 0.31, -0.08, 0.33),
    # so of the model's last words
    (0.0, -0.24, 0.0, -0.2, 0.14, -0.13, 0.44),
    # so of the pattern searched for last
    (0.0, -0.14, 0.0, -0.2, -0.36, -0.02, 0.72),
    # so of what the last call said that was about no file
    (0.0, -0.81, 0.0, -0.84, 0.56, 0.37, 0.72),
    # unread; then read: the whole, a part; each without and with a later edit
    (-0.22, -0.57, 0.51, 0.04, 0.24),
    # where it is: nowhere known; then, with no root known, below it, elsewhere: in an unwritten directory, in a written one
    (0.25, 0.53, 0.45, 0.23, -0.06, -0.88, -0.52),
)
