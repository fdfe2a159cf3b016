"""Weights of file_ranking.marks, one table for each mark: log odds that a file with it is the one read next.

Fitted once, on all file reads of recorded sessions of one coding agent (softmax over the files compared, L2).
"""

TABLES: tuple[tuple[float, ...], ...] = (
    # what was done with it last: nothing; then by age, if it was read, edited or searched
    (
        *(-0.1,),
        *(0.74, 0.06, -0.06, -0.1, -0.2, -0.84, -0.65, -1.55),
        *(1.64, 0.15, -0.47, -0.47, -0.38, -0.72, -0.99, -0.64),
        *(2.99, 1.14, 0.2, -0.2, -0.8, -0.34, -0.48, -0.39),
    ),
    # outputs that named it: never; then by age, if it was read before or not
    (-0.3, 1.63, 0.07, -0.13, -0.15, -0.32, -0.29, -0.23, -0.11, 1.55, 0.38, -0.54, -0.5, -0.75, -0.44, -1.07, -0.37),
    # the user naming it: as before
    (-0.07, 1.75, 0.44, 0.08, 0.39, 0.37, 0.14, 0.41, 0.19, 2.76, 0.69, -0.22, -0.04, -0.7, -0.39, 0.24, -0.92),
    # reads: 0, 1, 2, more; each without and with a later edit
    (-0.07, 0.47, -0.2, -0.01, 0.21, 0.05, 0.56, 0.28),
    # outputs that named it: 0, 1, 2-3, 4-7, 8-15, more
    (-0.3, -0.06, 0.12, 0.34, 0.41, 0.6),
    # elsewhere; beside the file acted on last, read before; beside it, unread
    (-0.1, 0.23, 0.29),
    # never followed the file acted on last; did; did the last time
    (0.05, 0.59, 0.63),
    # other; program; text; settings; lock files and logs
    (-2.29, 0.2, -0.36, -0.12, -2.42),
    # no test, read before or unread; test, read before or unread
    (0.21, 0.28, 0.1, -0.39),
    # a row for each thing that happened last: its place in this turn's outputs (none, 0 to 2, later), read or unread
    (
        *(0.3, -0.71, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(0.1, -0.26, -0.98, 1.29, 1.07, 0.18, 0.0, -1.22, -0.51, 0.85),
        *(0.31, -0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.6, -0.97, 0.65, 0.94, -0.76, 0.74, -0.55, 0.7, 0.51, 0.53),
        *(-0.62, -0.58, 0.96, 0.46, -0.19, 0.61, 0.39, 0.78, 0.79, 0.25),
        *(0.06, -0.63, 0.85, 0.17, -0.23, 0.61, 0.04, -0.18, 0.48, -1.32),
        *(0.04, -0.57, -0.34, 0.55, -0.82, -0.15, 1.9, -1.59, -0.19, -1.2),
        *(0.19, -0.35, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(-0.87, -1.65, 0.42, 0.25, 0.13, 0.45, 0.07, 2.38, 0.69, -2.06),
    ),
    # not in the latest list of files; then by what happened last: in it; its first unread one
    (
        *(0.02,),
        *(-0.21, 0.46, -0.26, 0.65, -0.03, 1.61, -0.27, -0.18, 0.23, 0.69),
        *(0.43, -0.33, 0.04, 0.61, 0.83, 0.95, 0.34, 0.71),
    ),
    # not named by the model lately; acted on since, named first, named later; each read before or unread
    (0.07, -0.07, 1.53, 0.51, 2.05, -0.41, -0.04),
    # unread; then by what happened last (a row each): a part or the whole was read, of another or of the last file
    (
        *(-0.01,),
        *(0.14, 0.52, 0.03, -0.23, -0.07, 1.26, -0.55, -2.23, 0.34, 0.21, -0.2, 0.29),
        *(0.04, 0.08, -0.81, -2.5, 0.12, 0.04, -0.5, -1.17, 0.11, -0.28, 0.17, -0.46),
        *(0.23, -0.5, -0.01, 0.05, -0.42, 0.91, -0.84, 0.46, 0.45, -0.73, -0.06, -1.4),
    ),
    # no kin; then by what happened last: test or tested of the last file, read or unread; at the end: of the same name
    (
        *(0.04,),
        *(0.36, -0.15, -0.25, -0.08, -0.02, 1.18, -0.33, -0.01, -0.96, -0.11),
        *(1.83, 0.28, 1.12, -0.36, -1.46, -1.45, 1.05, 0.65, 0.53),
    ),
    # the last file, or there is none; how much the beginnings of their names share
    (0.51, -0.04, 0.17, 0.5, -0.39, 0.25),
    # words of its stem that the user's last words hold: no words; then none, one, more, each some or all of them
    (0.0, 0.0, 0.0, -0.0, 0.5, 0.11, 0.38),
    # so of the model's last words
    (-0.01, 0.0, 0.0, 0.03, 0.33, 0.17, 0.7),
    # so of the pattern searched for last
    (0.08, 0.09, 0.0, -0.09, -0.18, 0.36, 1.09),
    # so of what the last call said that was about no file
    (0.11, -0.66, 0.0, -0.9, 0.86, 0.23, 1.04),
)
