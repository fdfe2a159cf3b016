"""Weights of file_ranking.marks, one table for each mark: log odds that a file with it is the one read next.

Fitted once, on the file reads that begin a turn in recorded sessions of one coding agent (softmax over the files
compared, L2 of 2).
"""

TABLES: tuple[tuple[float, ...], ...] = (
    # what was done with it last: nothing; then by age, if it was read, edited or searched
    (
        *(-0.39,),
        *(0.82, 0.17, 0.15, 0.07, 0.01, -0.73, -0.41, -0.9),
        *(1.98, 0.06, -0.47, -0.41, -0.34, -0.68, -0.94, -0.5),
        *(2.95, 1.16, 0.28, -0.13, -0.82, -0.31, -0.3, -0.31),
    ),
    # outputs that named it: never; then by age, if it was read before or not
    (-0.39, 1.91, -0.02, -0.27, -0.31, -0.5, -0.4, -0.53, -0.55, 2.96, 0.95, -0.14, -0.29, -0.85, -0.64, -0.77, -0.16),
    # the user naming it: as before
    (-0.71, 1.09, 0.04, -0.45, -0.25, -0.18, -0.45, -0.16, -0.3, 2.23, 0.66, -0.22, -0.04, -0.36, -0.38, -0.24, -0.29),
    # reads: 0, 1, 2, more; each without and with a later edit
    (-0.38, 0.16, -0.35, -0.14, -0.03, 0.12, 0.31, 0.32),
    # outputs that named it: 0, 1, 2-3, 4-7, 8-15, more
    (-0.39, -0.31, -0.18, 0.13, 0.22, 0.53),
    # elsewhere; beside the file acted on last, read before; beside it, unread
    (-0.35, 0.04, 0.31),
    # never followed the file acted on last; did; did the last time
    (-0.37, 0.21, 0.17),
    # other; program; text; settings; lock files and logs
    (-1.62, 1.25, 0.57, 0.6, -0.8),
    # no test, read before or unread; test, read before or unread
    (0.16, 0.35, 0.07, -0.58),
    # a row for each thing that happened last: its place in this turn's outputs (none, 0 to 2, later), read or unread
    (
        *(0.5, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.35, -0.31, -0.11, 0.43, 0.28, 0.05, 0.0, -0.19, -0.26, 0.46),
        *(0.2, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-1.0, -0.82, 0.34, 0.63, -0.72, 0.52, -0.42, 0.56, 0.48, 0.43),
        *(-0.91, -0.43, 0.59, 0.1, -0.3, 0.14, 0.18, 0.38, 0.41, -0.17),
        *(-0.01, -0.19, 0.47, 0.14, -0.2, 0.48, 0.11, -0.31, 0.26, -0.75),
        *(0.26, 0.04, 0.01, 0.33, -0.09, -0.03, 0.57, -0.35, -0.01, -0.75),
        *(0.19, -0.19, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.57, -0.6, 0.16, -0.17, -0.01, 0.23, -0.04, 1.22, 0.19, -0.41),
    ),
    # not in the latest list of files; then by what happened last: in it; its first unread one
    (
        *(-0.34,),
        *(-0.6, 0.57, -0.53, 0.4, -0.34, 1.37, -0.82, -0.53, -0.18, 0.33),
        *(0.02, -0.48, -0.38, 0.32, 0.49, 0.39, -0.11, 0.42),
    ),
    # not named by the model lately; acted on since, named first, named later; each read before or unread
    (-0.43, -0.62, 0.36, 0.07, 1.45, -0.67, -0.17),
    # unread; then by what happened last (a row each): a part or the whole was read, of another or of the last file
    (
        *(-0.22,),
        *(-0.2, 0.31, 0.39, 0.0, -0.3, 1.09, -0.13, -1.1, 0.16, -0.17, 0.15, 0.06),
        *(-0.07, 0.13, -0.21, -1.16, -0.05, 0.1, 0.05, -0.13, 0.03, -0.14, 0.74, 0.0),
        *(0.12, -0.28, 0.53, 0.38, -0.56, 0.53, -0.43, 0.66, 0.4, -0.37, 0.16, -0.45),
    ),
    # no kin; then by what happened last: test or tested of the last file, read or unread; at the end: of the same name
    (
        *(-0.36,),
        *(-0.01, 0.06, -0.49, -0.15, -0.41, 1.11, -0.43, -0.2, -0.81, -0.2),
        *(1.02, 0.21, 0.54, -0.06, -0.37, -0.36, 0.44, 0.24, 0.24),
    ),
    # the last file, or there is none; how much the beginnings of their names share
    (0.19, -0.2, 0.09, 0.31, -0.53, 0.13),
    # words of its stem that the user's last words hold: no words; then none, one, more, each some or all of them
    (0.0, -0.36, 0.0, -0.24, 0.3, -0.05, 0.34),
    # so of the model's last words
    (0.0, -0.26, 0.0, -0.24, 0.17, -0.13, 0.47),
    # so of the pattern searched for last
    (0.0, -0.14, 0.0, -0.24, -0.35, 0.02, 0.72),
    # so of what the last call said that was about no file
    (0.0, -0.81, 0.0, -0.79, 0.52, 0.42, 0.66),
    # unread; then read: the whole, a part; each without and with a later edit
    (-0.22, -0.61, 0.53, 0.1, 0.2),
    # where it is: nowhere known; then, with no root known, below it, elsewhere: in an unwritten directory, in a written one
    (0.18, 0.58, 0.45, 0.25, -0.05, -0.87, -0.54),
)
