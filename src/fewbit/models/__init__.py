"""Ready-made networks."""

import fewbit.torch_side  # noqa: F401
from fewbit.models.all_attention import AllAttentionBlock, AllAttentionLM
from fewbit.models.charlm import CharLM, HierarchicalLM
from fewbit.models.decoder import Decoder
from fewbit.models.encoder import Encoder
from fewbit.models.images import ProjectedBlock, ResidualBlock, ResNet, convnet, image_resnet, mlp
from fewbit.models.speech import SpeechRNN
from fewbit.models.stream import TorchStream

__all__ = [
    "AllAttentionBlock",
    "AllAttentionLM",
    "CharLM",
    "Decoder",
    "Encoder",
    "HierarchicalLM",
    "ProjectedBlock",
    "ResNet",
    "ResidualBlock",
    "SpeechRNN",
    "TorchStream",
    "convnet",
    "image_resnet",
    "mlp",
]
