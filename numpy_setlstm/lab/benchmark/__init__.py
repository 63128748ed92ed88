"""The package and its peers at the same work: time, memory, and where the time goes.

===================  ==================================================================================
:mod:`.work`         the work that all do: sizes, word ids, labels, first weights
:mod:`.peers`        who does it: one file each
:mod:`.worker`       a process of its own for each peer, told by its standard input what to do
:mod:`.harness`      the peers in turn; medians, quartiles, paired ratios
:mod:`.timing`       where a step's time goes: named functions under the clock
:mod:`.costs`        what a step's parts have to do at least, and what the machine can do at most
:mod:`.sweeps`       time against density, time and memory against size
:mod:`.report`       tables, results as JSON, facts about the machine
:mod:`.run`          all of it, within a time limit
===================  ==================================================================================
"""
