"""Weights of file_ranking.marks, one table for each mark: log odds that a file with it is the one read next.

Fitted once, on the file reads that begin a turn in recorded sessions of one coding agent (softmax over the files
compared, L2 of 2).
"""

TABLES: tuple[tuple[float, ...], ...] = (
    # what was done with it last: nothing; then by age, if it was read, edited or searched
    (
        *(-0.41,),
        *(0.89, 0.2, 0.13, 0.07, 0.0, -0.74, -0.44, -0.93),
        *(1.99, 0.07, -0.47, -0.43, -0.36, -0.71, -0.97, -0.53),
        *(3.03, 1.17, 0.25, -0.11, -0.79, -0.29, -0.31, -0.3),
    ),
    # outputs that named it: never; then by age, if it was read before or not
    (-0.41, 1.9, -0.02, -0.26, -0.28, -0.48, -0.37, -0.52, -0.53, 3.05, 0.94, -0.12, -0.28, -0.89, -0.75, -0.82, -0.15),
    # the user naming it: as before
    (-0.69, 0.99, -0.01, -0.4, -0.16, -0.15, -0.42, -0.13, -0.29, 2.41, 0.53, -0.28, -0.21, -0.37, -0.36, -0.21, -0.26),
    # reads: 0, 1, 2, more; each without and with a later edit
    (-0.4, 0.18, -0.38, -0.15, -0.02, 0.11, 0.32, 0.34),
    # outputs that named it: 0, 1, 2-3, 4-7, 8-15, more
    (-0.41, -0.33, -0.15, 0.13, 0.22, 0.55),
    # elsewhere; beside the file acted on last, read before; beside it, unread
    (-0.3, -0.01, 0.3),
    # never followed the file acted on last; did; did the last time
    (-0.39, 0.21, 0.18),
    # other; program; text; settings; lock files and logs
    (-1.5, 1.2, 0.43, 0.66, -0.8),
    # no test, read before or unread; test, read before or unread
    (0.16, 0.32, 0.06, -0.54),
    # a row for each thing that happened last: its place in this turn's outputs (none, 0 to 2, later), read or unread
    (
        *(0.46, -0.46, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.33, -0.31, -0.1, 0.43, 0.28, 0.03, 0.0, -0.19, -0.27, 0.46),
        *(0.22, -0.22, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.98, -0.78, 0.34, 0.67, -0.71, 0.52, -0.44, 0.49, 0.48, 0.4),
        *(-1.0, -0.67, 0.59, 0.05, -0.35, 0.24, 0.15, 0.47, 0.45, 0.07),
        *(0.12, -0.03, 0.51, -0.07, -0.24, 0.36, 0.13, -0.12, 0.21, -0.88),
        *(0.19, -0.04, 0.0, 0.41, -0.1, 0.08, 0.61, -0.33, 0.03, -0.85),
        *(0.2, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.56, -0.56, 0.17, -0.2, 0.01, 0.21, -0.04, 1.17, 0.18, -0.39),
    ),
    # not in the latest list of files; then by what happened last: in it; its first unread one
    (
        *(-0.34,),
        *(-0.5, 0.2, -0.55, 0.42, -0.34, 1.38, -0.81, -0.62, -0.07, 0.34),
        *(0.13, -0.39, -0.4, 0.38, 0.42, 0.41, -0.11, 0.44),
    ),
    # not named by the model lately; acted on since, named first, named later; each read before or unread
    (-0.45, -0.6, 0.45, 0.04, 1.43, -0.69, -0.17),
    # unread; then by what happened last (a row each): a part or the whole was read, of another or of the last file
    (
        *(-0.22,),
        *(-0.22, 0.3, 0.35, 0.03, -0.29, 1.06, -0.14, -1.05, 0.16, -0.16, 0.14, 0.08),
        *(-0.06, 0.14, -0.19, -1.19, -0.07, 0.05, 0.03, -0.16, 0.02, -0.11, 0.77, 0.04),
        *(0.13, -0.28, 0.51, 0.37, -0.5, 0.51, -0.43, 0.62, 0.39, -0.36, 0.18, -0.45),
    ),
    # no kin; then by what happened last: test or tested of the last file, read or unread; at the end: of the same name
    (
        *(-0.39,),
        *(0.01, 0.03, -0.52, -0.11, -0.39, 1.14, -0.35, -0.24, -0.84, -0.09),
        *(1.05, 0.16, 0.57, -0.06, -0.37, -0.37, 0.44, 0.25, 0.08),
    ),
    # the last file, or there is none; how much the beginnings of their names share
    (0.2, -0.22, 0.12, 0.32, -0.54, 0.12),
    # words of its stem that the user's last words hold: no words; then none, one, more, each some or all of them
    (0.0, -0.33, 0.0, -0.23, 0.34, -0.08, 0.3),
    # so of the model's last words
    (0.0, -0.23, 0.0, -0.23, 0.13, -0.11, 0.45),
    # so of the pattern searched for last
    (0.0, -0.14, 0.0, -0.26, -0.37, 0.03, 0.75),
    # so of what the last call said that was about no file
    (0.0, -0.96, 0.0, -0.8, 0.61, 0.43, 0.73),
    # unread; then read: the whole, a part; each without and with a later edit
    (-0.22, -0.59, 0.52, 0.1, 0.19),
)
