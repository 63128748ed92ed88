"""The package compared with its peers on the same work: time, memory, and which parts take the time.

=====================  ==================================================================================
:mod:`.work`           the work that all do: sizes, word ids, labels, first weights
:mod:`.language_work`  the work of the language model
:mod:`.peers`          the implementations that do it, one file each
:mod:`.worker`         a separate process for each peer, controlled through its standard input
:mod:`.harness`        the peers in turn; medians, quartiles, paired ratios
:mod:`.timing`         times of named functions within a step
:mod:`.costs`          the least work that each part of a step needs, and the limits of the machine
:mod:`.sweeps`         time against density, time and memory against size
:mod:`.report`         the results as text and Markdown
:mod:`.run`            all of it, within a time limit
=====================  ==================================================================================
"""
