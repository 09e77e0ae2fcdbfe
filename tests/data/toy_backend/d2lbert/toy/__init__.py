"""BERT in NumPy: `from d2lbert import toy as d2l`."""

from d2lbert.shared import *
from d2lbert.toy.checkpoint import (
    export_params,
    import_params,
    load_checkpoint,
    load_pretrained_model,
    save_checkpoint,
)
from d2lbert.toy.data import load_data_wiki, load_held_out_wiki, to_tensors
from d2lbert.toy.model import (
    AddNorm,
    BERTEncoder,
    BERTModel,
    MaskLM,
    MultiHeadAttention,
    NextSentencePred,
    PositionWiseFFN,
    TransformerEncoderBlock,
)
from d2lbert.toy.train import (
    _get_batch_loss_bert,
    adam,
    cross_entropy,
    encode,
    evaluate_bert,
    get_bert_encoding,
    train_bert,
    try_all_gpus,
    try_gpu,
    word_logits,
)
