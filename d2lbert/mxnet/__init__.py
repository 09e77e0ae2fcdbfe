"""BERT in MXNet/Gluon: `from d2lbert import mxnet as d2l`."""

from d2lbert.mxnet.compat import import_mxnet as _import_mxnet

_import_mxnet()  # before anything else here imports it

from mxnet import npx as _npx  # noqa: E402

_npx.set_np()

from d2lbert.checks import no_such_name as _no_such_name  # noqa: E402
from d2lbert.data.d2l import (  # noqa: E402
    _get_mlm_data_from_tokens,
    _get_next_sentence,
    _get_nsp_data_from_paragraph,
    _read_wiki,
    _replace_mlm_tokens,
)
from d2lbert.mxnet.checkpoint import (  # noqa: E402
    export_params,
    import_params,
    load_checkpoint,
    load_pretrained_model,
    save_checkpoint,
)
from d2lbert.mxnet.data import (  # noqa: E402
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
from d2lbert.mxnet.fast import fused_batch_loss  # noqa: E402
from d2lbert.mxnet.finetune import (  # noqa: E402
    BERTClassifier,
    accuracy,
    classify,
    evaluate_accuracy_gpu,
    evaluate_accuracy_gpus,
    predict,
    predict_snli,
    split_batch,
    split_batch_multi_inputs,
    train_batch_ch13,
    train_ch13,
)
from d2lbert.mxnet.model import (  # noqa: E402
    AddNorm,
    BERTEncoder,
    BERTModel,
    MaskLM,
    MultiHeadAttention,
    NextSentencePred,
    PositionWiseFFN,
    TransformerEncoderBlock,
)
from d2lbert.mxnet.original.heads import (  # noqa: E402
    BertForPreTraining,
    BertForSequenceClassification,
    BertLMPredictionHead,
    BertPredictionHeadTransform,
    BertPreTrainingHeads,
)
from d2lbert.mxnet.original.model import (  # noqa: E402
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
from d2lbert.mxnet.original.train import adamw, fit, infer, predict_classes  # noqa: E402
from d2lbert.mxnet.parallel import join_workers  # noqa: E402
from d2lbert.mxnet.train import (  # noqa: E402
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
from d2lbert.shared import *  # noqa: E402


def __getattr__(name):
    raise _no_such_name(__name__, name)
