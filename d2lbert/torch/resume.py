"""The state of a training in PyTorch, in and out of checkpoints."""

import numpy as np
import torch


def state_arrays(net, trainer, best=None):
    """Weights, optimiser and random state as they are now, {name: array}.

    Args:
        best: further weights, as `copy_weights` gives them, or None.
    """
    states = {f"optimizer.{i}.": values
              for i, values in trainer.state_dict()["state"].items()}
    states |= {"weights.": net.state_dict(), "best.": best or {},
               "random.": random_states()}
    return {f"{prefix}{name}": to_array(value)
            for prefix, values in states.items()
            for name, value in values.items() if value is not None}


def put_state(saved, net, trainer):
    """Put what `state_arrays` gave where it was; nothing for {}.

    Returns:
        The `best` weights; None if there were none.
    """
    if not saved:
        return None
    weights = net.state_dict()
    net.load_state_dict({
        name: divided(value, weights[name]) for name, value
        in beginning_with("weights.", saved).items()})
    weights, states = list(net.parameters()), {}
    for name, value in beginning_with("optimizer.", saved).items():
        i, _, name = name.partition(".")
        states.setdefault(int(i), {})[name] = divided(value, weights[int(i)])
    trainer.load_state_dict(trainer.state_dict() | {"state": states})
    set_random_states(beginning_with("random.", saved))
    return beginning_with("best.", saved) or None


def to_array(value):
    """A tensor or a number as a NumPy array; bfloat16, exactly, as float32.

    Of one that is divided among workers all of it; they all have to ask.
    """
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    if hasattr(value, "full_tensor"):
        value = value.full_tensor()
    if value.dtype == torch.bfloat16:
        value = value.float()
    return value.detach().cpu().numpy()


def divided(value, like):
    """A tensor, divided among workers as one of the same shape is."""
    if value.shape != like.shape or not hasattr(like, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor
    return distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements)


def beginning_with(prefix, saved):
    """{rest of the name: tensor} of the names that begin so."""
    return {name.removeprefix(prefix): torch.from_numpy(array)
            for name, array in saved.items() if name.startswith(prefix)}


def random_states():
    """{device: state} of PyTorch's generators."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": torch.cuda.get_rng_state(i)
                   for i in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states):
    """Make the generators those of `random_states`, where they exist."""
    for device in random_states().keys() & states.keys():
        if device == "cpu":
            torch.set_rng_state(states[device])
        elif device == "mps":
            torch.mps.set_rng_state(states[device])
        else:
            torch.cuda.set_rng_state(states[device], device)
