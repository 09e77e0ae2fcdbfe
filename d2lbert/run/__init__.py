"""`make run`: the experiment of a chapter, in every backend, as one table.

    pretraining.py   bert-pretraining: train on both tasks, probe "crane"
    nli.py           nli-bert: fine-tune, from random weights and pretrained
    report.py        tables
    __main__.py      the command line; a process for each backend
"""
