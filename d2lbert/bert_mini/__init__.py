"""bert.mini: a small BERT, pretrained on mini-wiki; the files of the model.

`python -m d2lbert.bert_mini` makes it anew.
"""
