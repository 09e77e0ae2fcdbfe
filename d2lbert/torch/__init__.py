"""BERT in PyTorch: `from d2lbert import torch as d2l`."""

try:
    import torch as _torch
except ImportError as error:
    raise ImportError("d2lbert.torch needs PyTorch: "
                      "pip install 'd2lbert[torch]'") from error

from d2lbert.checks import no_such_name as _no_such_name
from d2lbert.data.d2l import (
    _get_mlm_data_from_tokens,
    _get_next_sentence,
    _get_nsp_data_from_paragraph,
    _read_wiki,
    _replace_mlm_tokens,
)
from d2lbert.shared import *
from d2lbert.torch.checkpoint import (
    export_params,
    import_params,
    load_checkpoint,
    load_pretrained_model,
    save_checkpoint,
)
from d2lbert.torch.data import (
    SNLIBERTDataset,
    SNLIDataset,
    _pad_bert_inputs,
    _WikiTextDataset,
    load_array,
    load_data_nli,
    load_data_snli,
    load_data_snli_bert,
    load_data_sst2,
    load_data_wiki,
    load_held_out_wiki,
    to_tensors,
)
from d2lbert.torch.fast import fused_batch_loss
from d2lbert.torch.finetune import (
    BERTClassifier,
    accuracy,
    classify,
    evaluate_accuracy_gpu,
    predict,
    predict_snli,
    train_batch_ch13,
    train_ch13,
)
from d2lbert.torch.model import (
    AddNorm,
    BERTEncoder,
    BERTModel,
    MaskLM,
    MultiHeadAttention,
    NextSentencePred,
    PositionWiseFFN,
    TransformerEncoderBlock,
)
from d2lbert.torch.original.heads import (
    BertForPreTraining,
    BertForSequenceClassification,
    BertLMPredictionHead,
    BertPredictionHeadTransform,
    BertPreTrainingHeads,
)
from d2lbert.torch.original.model import (
    BertAttention,
    BertEmbeddings,
    BertEncoder,
    BertIntermediate,
    BertLayer,
    BertModel,
    BertOutput,
    BertPooler,
    BertSelfAttention,
)
from d2lbert.torch.original.train import adamw, fit, infer, predict_classes
from d2lbert.torch.parallel import join_workers
from d2lbert.torch.train import (
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


def __getattr__(name):
    raise _no_such_name(__name__, name)
