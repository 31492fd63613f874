"""The part of Caffe's file format that faceall reads and writes: field numbers as in caffe.proto, text our own."""

from __future__ import annotations

from functools import cache

from faceall.protobuf import MessageClass, build_messages

_MESSAGES = {
    "BlobShape": "packed int64 dim = 1",
    "BlobProto": """
        enum RawType = DOUBLE 0, FLOAT 1, FLOAT16 2, INT 3, UINT 4
        optional int32 num = 1 0
        optional int32 channels = 2 0
        optional int32 height = 3 0
        optional int32 width = 4 0
        packed float data = 5
        packed float diff = 6
        optional BlobShape shape = 7
        packed double double_data = 8
        packed double double_diff = 9
        optional RawType raw_data_type = 10
        optional bytes raw_data = 12""",
    "FillerParameter": """
        enum VarianceNorm = FAN_IN 0, FAN_OUT 1, AVERAGE 2
        optional string type = 1 constant
        optional float value = 2 0
        optional float min = 3 0
        optional float max = 4 1
        optional float mean = 5 0
        optional float std = 6 1
        optional int32 sparse = 7 -1
        optional VarianceNorm variance_norm = 8 FAN_IN""",
    "NetStateRule": """
        enum Phase = TRAIN 0, TEST 1
        optional Phase phase = 1
        optional int32 min_level = 2
        optional int32 max_level = 3
        repeated string stage = 4
        repeated string not_stage = 5""",
    "NetState": """
        optional Phase phase = 1 TEST
        optional int32 level = 2 0
        repeated string stage = 3""",
    "ParamSpec": """
        enum DimCheckMode = STRICT 0, PERMISSIVE 1
        optional string name = 1
        optional DimCheckMode share_mode = 2
        optional float lr_mult = 3 1
        optional float decay_mult = 4 1""",
    "ConcatParameter": """
        optional uint32 concat_dim = 1 1
        optional int32 axis = 2 1""",
    "ConvolutionParameter": """
        enum Engine = DEFAULT 0, CAFFE 1, CUDNN 2
        optional uint32 num_output = 1
        optional bool bias_term = 2 true
        repeated uint32 pad = 3
        repeated uint32 kernel_size = 4
        optional uint32 group = 5 1
        repeated uint32 stride = 6
        optional FillerParameter weight_filler = 7
        optional FillerParameter bias_filler = 8
        optional uint32 pad_h = 9 0
        optional uint32 pad_w = 10 0
        optional uint32 kernel_h = 11
        optional uint32 kernel_w = 12
        optional uint32 stride_h = 13
        optional uint32 stride_w = 14
        optional Engine engine = 15 DEFAULT
        optional int32 axis = 16 1
        optional bool force_nd_im2col = 17 false
        repeated uint32 dilation = 18""",
    "DropoutParameter": "optional float dropout_ratio = 1 0.5",
    "EltwiseParameter": """
        enum EltwiseOperation = PROD 0, SUM 1, MAX 2
        optional EltwiseOperation operation = 1 SUM
        repeated float coeff = 2
        optional bool stable_prod_grad = 3 true""",
    "InnerProductParameter": """
        optional uint32 num_output = 1
        optional bool bias_term = 2 true
        optional FillerParameter weight_filler = 3
        optional FillerParameter bias_filler = 4
        optional int32 axis = 5 1
        optional bool transpose = 6 false""",
    "PoolingParameter": """
        enum PoolMethod = MAX 0, AVE 1, STOCHASTIC 2
        enum RoundMode = CEIL 0, FLOOR 1
        optional PoolMethod pool = 1 MAX
        optional uint32 kernel_size = 2
        optional uint32 stride = 3 1
        optional uint32 pad = 4 0
        optional uint32 kernel_h = 5
        optional uint32 kernel_w = 6
        optional uint32 stride_h = 7
        optional uint32 stride_w = 8
        optional uint32 pad_h = 9 0
        optional uint32 pad_w = 10 0
        optional Engine engine = 11 DEFAULT
        optional bool global_pooling = 12 false
        optional RoundMode round_mode = 13 CEIL""",
    "PowerParameter": """
        optional float power = 1 1
        optional float scale = 2 1
        optional float shift = 3 0""",
    "ReLUParameter": """
        optional float negative_slope = 1 0
        optional Engine engine = 2 DEFAULT""",
    "SigmoidParameter": "optional Engine engine = 1 DEFAULT",
    "SoftmaxParameter": """
        optional Engine engine = 1 DEFAULT
        optional int32 axis = 2 1""",
    "SliceParameter": """
        optional uint32 slice_dim = 1 1
        repeated uint32 slice_point = 2
        optional int32 axis = 3 1""",
    "PReLUParameter": """
        optional FillerParameter filler = 1
        optional bool channel_shared = 2 false""",
    "ReshapeParameter": """
        optional BlobShape shape = 1
        optional int32 axis = 2 0
        optional int32 num_axes = 3 -1""",
    "FlattenParameter": """
        optional int32 axis = 1 1
        optional int32 end_axis = 2 -1""",
    "BatchNormParameter": """
        optional bool use_global_stats = 1
        optional float moving_average_fraction = 2 0.999
        optional float eps = 3 1e-5""",
    "ScaleParameter": """
        optional int32 axis = 1 1
        optional int32 num_axes = 2 1
        optional FillerParameter filler = 3
        optional bool bias_term = 4 false
        optional FillerParameter bias_filler = 5""",
    "InputParameter": "repeated BlobShape shape = 1",
    "CropParameter": """
        optional int32 axis = 1 2
        repeated uint32 offset = 2""",
    "PermuteParameter": "repeated uint32 order = 1",
    "NormalizeParameter": """
        optional bool across_spatial = 1 true
        optional FillerParameter scale_filler = 2
        optional bool channel_shared = 3 true
        optional float eps = 4 1e-10""",
    "LayerParameter": """
        optional string name = 1
        optional string type = 2
        repeated string bottom = 3
        repeated string top = 4
        repeated float loss_weight = 5
        repeated ParamSpec param = 6
        repeated BlobProto blobs = 7
        repeated NetStateRule include = 8
        repeated NetStateRule exclude = 9
        optional Phase phase = 10
        repeated bool propagate_down = 11
        optional ConcatParameter concat_param = 104
        optional ConvolutionParameter convolution_param = 106
        optional DropoutParameter dropout_param = 108
        optional EltwiseParameter eltwise_param = 110
        optional InnerProductParameter inner_product_param = 117
        optional PoolingParameter pooling_param = 121
        optional PowerParameter power_param = 122
        optional ReLUParameter relu_param = 123
        optional SigmoidParameter sigmoid_param = 124
        optional SoftmaxParameter softmax_param = 125
        optional SliceParameter slice_param = 126
        optional PReLUParameter prelu_param = 131
        optional ReshapeParameter reshape_param = 133
        optional FlattenParameter flatten_param = 135
        optional BatchNormParameter batch_norm_param = 139
        optional ScaleParameter scale_param = 142
        optional InputParameter input_param = 143
        optional CropParameter crop_param = 144
        optional PermuteParameter permute_param = 202
        optional NormalizeParameter norm_param = 206""",
    "V1LayerParameter": """
        enum V1LayerType = NONE 0, ACCURACY 1, BNLL 2, CONCAT 3, CONVOLUTION 4, DATA 5, DROPOUT 6, EUCLIDEAN_LOSS 7, \
FLATTEN 8, HDF5_DATA 9, HDF5_OUTPUT 10, IM2COL 11, IMAGE_DATA 12, INFOGAIN_LOSS 13, INNER_PRODUCT 14, LRN 15, \
MULTINOMIAL_LOGISTIC_LOSS 16, POOLING 17, RELU 18, SIGMOID 19, SOFTMAX 20, SOFTMAX_LOSS 21, SPLIT 22, TANH 23, \
WINDOW_DATA 24, ELTWISE 25, POWER 26, SIGMOID_CROSS_ENTROPY_LOSS 27, HINGE_LOSS 28, MEMORY_DATA 29, ARGMAX 30, \
THRESHOLD 31, DUMMY_DATA 32, SLICE 33, MVN 34, ABSVAL 35, SILENCE 36, CONTRASTIVE_LOSS 37, EXP 38, DECONVOLUTION 39
        repeated string bottom = 2
        repeated string top = 3
        optional string name = 4
        optional V1LayerType type = 5
        repeated BlobProto blobs = 6
        repeated float blobs_lr = 7
        repeated float weight_decay = 8
        optional ConcatParameter concat_param = 9
        optional ConvolutionParameter convolution_param = 10
        optional DropoutParameter dropout_param = 12
        optional InnerProductParameter inner_product_param = 17
        optional PoolingParameter pooling_param = 19
        optional PowerParameter power_param = 21
        optional EltwiseParameter eltwise_param = 24
        optional ReLUParameter relu_param = 30
        optional SliceParameter slice_param = 31
        repeated NetStateRule include = 32
        repeated NetStateRule exclude = 33
        optional SigmoidParameter sigmoid_param = 38
        optional SoftmaxParameter softmax_param = 39
        repeated string param = 1001""",
    "NetParameter": """
        optional string name = 1
        repeated V1LayerParameter layers = 2
        repeated string input = 3
        repeated int32 input_dim = 4
        optional bool force_backward = 5 false
        optional NetState state = 6
        optional bool debug_info = 7 false
        repeated BlobShape input_shape = 8
        repeated LayerParameter layer = 100""",
}

V1_TYPES = {
    "CONCAT": "Concat",
    "CONVOLUTION": "Convolution",
    "DROPOUT": "Dropout",
    "ELTWISE": "Eltwise",
    "FLATTEN": "Flatten",
    "INNER_PRODUCT": "InnerProduct",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SPLIT": "Split",
}
"""How a V1 file calls a layer type -> how a V2 file does."""

PARAMETER_FIELDS = {
    "BatchNorm": "batch_norm_param",
    "Concat": "concat_param",
    "Convolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "Crop": "crop_param",
    "Dropout": "dropout_param",
    "Eltwise": "eltwise_param",
    "Flatten": "flatten_param",
    "InnerProduct": "inner_product_param",
    "Input": "input_param",
    "Normalize": "norm_param",
    "PReLU": "prelu_param",
    "Permute": "permute_param",
    "Pooling": "pooling_param",
    "Power": "power_param",
    "ReLU": "relu_param",
    "Reshape": "reshape_param",
    "Scale": "scale_param",
    "Sigmoid": "sigmoid_param",
    "Slice": "slice_param",
    "Softmax": "softmax_param",
}
"""The field of LayerParameter that holds a layer type's own options."""


@cache
def messages() -> dict[str, MessageClass]:
    """The message classes, built once."""
    return build_messages("faceall.caffe", _MESSAGES)


@cache
def defaults(parameter_field: str) -> dict[str, object]:
    """The default of every single-valued option of `parameter_field`, by name; None where the schema gives none."""
    layer = messages()["LayerParameter"].DESCRIPTOR
    options = layer.fields_by_name[parameter_field].message_type
    return {field.name: _default(field) for field in options.fields}


def _default(field: object) -> object:
    if field.is_repeated:  # type: ignore[attr-defined]
        return ()
    if not field.has_default_value:  # type: ignore[attr-defined]
        return None
    value: object = field.default_value  # type: ignore[attr-defined]
    if field.enum_type is not None:  # type: ignore[attr-defined]
        return field.enum_type.values_by_number[value].name  # type: ignore[attr-defined]
    return value
