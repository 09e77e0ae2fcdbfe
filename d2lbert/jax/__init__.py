"""BERT in JAX and Flax: `from d2lbert import jax as d2l`."""

try:
    import flax as _flax
    import jax as _jax
    import optax as _optax
except ImportError as error:
    raise ImportError("d2lbert.jax needs JAX, Flax and Optax: "
                      "pip install 'd2lbert[jax]'") from error

from d2lbert.checks import no_such_name as _no_such_name
from d2lbert.data.d2l import (
    _get_mlm_data_from_tokens,
    _get_next_sentence,
    _get_nsp_data_from_paragraph,
    _read_wiki,
    _replace_mlm_tokens,
)
from d2lbert.jax.checkpoint import (
    export_params,
    import_params,
    load_checkpoint,
    load_pretrained_model,
    save_checkpoint,
)
from d2lbert.jax.data import (
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
from d2lbert.jax.fast import fused_batch_loss
from d2lbert.jax.finetune import (
    BERTClassifier,
    accuracy,
    classifier_params,
    classify,
    encoder_like,
    evaluate_accuracy_gpu,
    predict,
    predict_snli,
    train_batch_ch13,
    train_ch13,
)
from d2lbert.jax.model import (
    AddNorm,
    BERTEncoder,
    BERTModel,
    MaskLM,
    MultiHeadAttention,
    NextSentencePred,
    PositionWiseFFN,
    TransformerEncoderBlock,
)
from d2lbert.jax.original.heads import (
    BertForPreTraining,
    BertForSequenceClassification,
    BertLMPredictionHead,
    BertPredictionHeadTransform,
    BertPreTrainingHeads,
)
from d2lbert.jax.original.model import (
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
from d2lbert.jax.original.train import adamw, fit, infer, predict_classes
from d2lbert.jax.parallel import join_workers, vocab_mesh
from d2lbert.jax.train import (
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
from d2lbert.shared import *


def __getattr__(name):
    raise _no_such_name(__name__, name)
