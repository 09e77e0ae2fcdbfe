"""Write what d2l 1.0.3's own models compute, for the tests of parity.

    PYTHONPATH=bench .venv-d2l/bin/python tests/data/make_d2l_files.py

writes tests/data/d2l_torch.safetensors (params/*, inputs/*, outputs/*), the
same params as d2l_torch_zip.params and d2l_torch_legacy.params (by both
formats of `torch.save`), d2l_gluon.params (by `save_parameters`) and
d2l_gluon.safetensors (inputs/*, outputs/*). The weights are random
numbers from a seed; both models are in evaluation mode. The Gluon outputs
include the losses `mlm_l` and `nsp_l`; PyTorch's do not, since d2l's
masked-LM loss averages over padded slots there.
"""

from pathlib import Path

import numpy as np
from d2l_pretraining import import_d2l
from safetensors.numpy import save_file

DATA = Path(__file__).resolve().parent
SIZES = {"vocab_size": 53, "num_hiddens": 16, "ffn_num_hiddens": 24,
         "num_heads": 2, "num_blks": 2, "dropout": 0.0, "max_len": 32}
INPUTS = ("tokens", "segments", "valid_lens", "pred_positions")
OUTPUTS = ("encoded_X", "mlm_Y_hat", "nsp_Y_hat")
BATCH_SIZE, LENGTH, SLOTS = 3, 20, 3


def random_batch(rng):
    """A batch with padding and unused slots; a row fills all its columns."""
    valid_lens = np.array([LENGTH, 13, 7])
    columns = np.arange(LENGTH)
    tokens = rng.integers(5, SIZES["vocab_size"], (BATCH_SIZE, LENGTH))
    segments = columns >= valid_lens[:, None] // 2
    valid = columns < valid_lens[:, None]
    used = np.arange(SLOTS) < [[3], [2], [1]]
    positions = np.sort(rng.integers(1, 7, (BATCH_SIZE, SLOTS)))
    labels = rng.integers(5, SIZES["vocab_size"], (BATCH_SIZE, SLOTS))
    return {"tokens": np.where(valid, tokens, 1),
            "segments": (segments & valid).astype(int),
            "valid_lens": valid_lens,
            "pred_positions": positions * used,
            "mlm_weights": used.astype(np.float32),
            "mlm_Y": labels * used,
            "nsp_y": np.array([1, 0, 1])}


def random_weight(shape, is_scale, rng):
    """Nothing left at 0 or 1, so that a parameter left out is noticed."""
    return (is_scale + 0.2 * rng.normal(size=shape)).astype(np.float32)


def torch_tensors(batch, rng, zip_path, legacy_path):
    """Weights, batch and outputs of d2l's PyTorch model, which is saved."""
    d2l = import_d2l("torch")
    import torch
    inputs = [torch.from_numpy(batch[name]) for name in INPUTS]
    net = d2l.BERTModel(**SIZES).eval()
    with torch.no_grad():
        net(*inputs)  # d2l's lazy layers learn their sizes
        for name, param in net.named_parameters():
            is_scale = name.endswith(("ln.weight", "mlp.2.weight"))
            value = random_weight(param.shape, is_scale, rng)
            param.copy_(torch.from_numpy(value))
        outputs = dict(zip(OUTPUTS, net(*inputs)))
    for path, is_zip in ((zip_path, True), (legacy_path, False)):
        torch.save(net.state_dict(), path,
                   _use_new_zipfile_serialization=is_zip)
    return grouped(params=net.state_dict(), inputs=batch, outputs=outputs)


def gluon_tensors(batch, rng, params_path):
    """Batch and outputs of d2l's Gluon model, whose weights are saved."""
    d2l = import_d2l("mxnet")
    from mxnet import gluon, np as mnp
    arrays = {name: mnp.array(x, dtype="float32" if name == "mlm_weights"
                              else "int32") for name, x in batch.items()}
    net = d2l.BERTModel(**SIZES)
    net.initialize()
    net(*(arrays[name] for name in INPUTS))  # and so do Gluon's
    for name, param in sorted(net._collect_params_with_prefix().items()):
        is_scale = name.endswith("gamma")
        param.set_data(mnp.array(random_weight(param.shape, is_scale, rng)))
    outputs = dict(zip(OUTPUTS, net(*(arrays[name] for name in INPUTS))))
    (outputs["mlm_l"],), (outputs["nsp_l"],), _ = d2l._get_batch_loss_bert(
        net, gluon.loss.SoftmaxCELoss(), SIZES["vocab_size"],
        *([x] for x in arrays.values()))
    net.save_parameters(str(params_path))
    return grouped(inputs=batch, outputs={
        name: x.asnumpy() for name, x in outputs.items()})


def grouped(**groups):
    """{"group/name": array} of several {name: tensor}."""
    return {f"{group}/{name}": np.array(tensor, order="C")
            for group, tensors in groups.items()
            for name, tensor in tensors.items()}


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    batch = random_batch(rng)
    save_file(torch_tensors(batch, rng, DATA / "d2l_torch_zip.params",
                            DATA / "d2l_torch_legacy.params"),
              DATA / "d2l_torch.safetensors")
    save_file(gluon_tensors(batch, rng, DATA / "d2l_gluon.params"),
              DATA / "d2l_gluon.safetensors")


if __name__ == "__main__":
    main()
