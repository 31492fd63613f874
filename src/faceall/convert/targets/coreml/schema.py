"""The part of Core ML's file format that faceall reads: field numbers as in Model.proto and its kin, text our own.

Enumerations are plain numbers here, and of a choice each alternative is an optional field.
"""

from __future__ import annotations

from functools import cache

from faceall.protobuf import MessageClass, build_messages

_AXES = """
        repeated int64 axes = 1
        optional bool keepDims = 2
        optional bool reduceAll = 3"""

_DESCRIPTION = {
    "Pair": """
        optional string key = 1
        optional string value = 2""",
    "Metadata": """
        optional string shortDescription = 1
        optional string versionString = 2
        optional string author = 3
        optional string license = 4
        repeated Pair userDefined = 100""",
    "ImageFeatureType": """
        optional int64 width = 1
        optional int64 height = 2
        optional int32 colorSpace = 3
        optional Empty enumeratedSizes = 21
        optional Empty imageSizeRange = 31""",
    "ArrayFeatureType": """
        repeated int64 shape = 1
        optional int32 dataType = 2
        optional Empty enumeratedShapes = 21
        optional Empty shapeRange = 31""",
    "FeatureType": """
        optional ImageFeatureType imageType = 4
        optional ArrayFeatureType multiArrayType = 5""",
    "FeatureDescription": """
        optional string name = 1
        optional string shortDescription = 2
        optional FeatureType type = 3""",
    "ModelDescription": """
        repeated FeatureDescription input = 1
        repeated FeatureDescription output = 10
        optional Metadata metadata = 100""",
    "Model": """
        optional int32 specificationVersion = 1
        optional ModelDescription description = 2
        optional NeuralNetwork neuralNetwork = 500
        optional Program mlProgram = 502""",
    "Empty": "optional int32 nothing = 536870911",
}

_PROGRAM = {
    "Program": """
        optional int64 version = 1
        repeated NamedFunction functions = 2""",
    "NamedFunction": """
        optional string key = 1
        optional Function value = 2""",
    "Function": """
        repeated NamedValueType inputs = 1
        optional string opset = 2
        repeated NamedBlock block_specializations = 3""",
    "NamedBlock": """
        optional string key = 1
        optional Block value = 2""",
    "Block": """
        repeated NamedValueType inputs = 1
        repeated string outputs = 2
        repeated Operation operations = 3""",
    "Binding": """
        optional string name = 1
        optional Value value = 2""",
    "Argument": "repeated Binding arguments = 1",
    "NamedArgument": """
        optional string key = 1
        optional Argument value = 2""",
    "NamedValue": """
        optional string key = 1
        optional Value value = 2""",
    "Operation": """
        optional string type = 1
        repeated NamedArgument inputs = 2
        repeated NamedValueType outputs = 3
        repeated Block blocks = 4
        repeated NamedValue attributes = 5""",
    "NamedValueType": """
        optional string name = 1
        optional ValueType type = 2""",
    "ValueType": "optional TensorType tensorType = 1",
    "TensorType": """
        optional int32 dataType = 1
        optional int64 rank = 2
        repeated Dimension dimensions = 3""",
    "Dimension": """
        optional ConstantDimension constant = 1
        optional UnknownDimension unknown = 2""",
    "ConstantDimension": "optional uint64 size = 1",
    "UnknownDimension": "optional bool variadic = 1",
    "Value": """
        optional ValueType type = 2
        optional ImmediateValue immediateValue = 3
        optional BlobFileValue blobFileValue = 5""",
    "ImmediateValue": "optional TensorValue tensor = 1",
    "BlobFileValue": """
        optional string fileName = 1
        optional uint64 offset = 2""",
    "TensorValue": """
        optional Floats floats = 1
        optional Ints ints = 2
        optional Bools bools = 3
        optional Strings strings = 4
        optional LongInts longInts = 5
        optional Doubles doubles = 6
        optional Bytes bytes = 7""",
    "Floats": "packed float values = 1",
    "Doubles": "packed double values = 1",
    "Ints": "packed int32 values = 1",
    "LongInts": "packed int64 values = 1",
    "Bools": "packed bool values = 1",
    "Strings": "repeated string values = 1",
    "Bytes": "optional bytes values = 1",
}

_NETWORK = {
    "NeuralNetwork": """
        repeated NetworkLayer layers = 1
        repeated Preprocessing preprocessing = 2
        optional int32 arrayInputShapeMapping = 5
        optional int32 imageInputShapeMapping = 6""",
    "ImageScaler": """
        optional float channelScale = 10
        optional float blueBias = 20
        optional float greenBias = 21
        optional float redBias = 22""",
    "Preprocessing": """
        optional string featureName = 1
        optional ImageScaler scaler = 10
        optional Empty meanImage = 11""",
    "WeightParams": """
        packed float floatValue = 1
        optional bytes float16Value = 2
        optional bytes rawValue = 30
        optional Quantization quantization = 40""",
    "Quantization": """
        optional uint64 numberOfBits = 1
        optional LinearQuantization linearQuantization = 101
        optional Table lookupTableQuantization = 102""",
    "LinearQuantization": """
        packed float scale = 1
        packed float bias = 2""",
    "Table": "packed float floatValue = 1",
    "EdgeSizes": """
        optional uint64 startEdgeSize = 1
        optional uint64 endEdgeSize = 2""",
    "BorderAmounts": "repeated EdgeSizes borderAmounts = 10",
    "ValidPadding": "optional BorderAmounts paddingAmounts = 1",
    "SamePadding": "optional int32 asymmetryMode = 1",
    "LastPixelPadding": "packed uint64 paddingAmounts = 10",
    "ConvolutionLayer": """
        optional uint64 outputChannels = 1
        optional uint64 kernelChannels = 2
        optional uint64 nGroups = 10
        packed uint64 kernelSize = 20
        packed uint64 stride = 30
        packed uint64 dilationFactor = 40
        optional ValidPadding valid = 50
        optional SamePadding same = 51
        optional bool isDeconvolution = 60
        optional bool hasBias = 70
        optional WeightParams weights = 90
        optional WeightParams bias = 91""",
    "PoolingLayer": """
        optional int32 type = 1
        packed uint64 kernelSize = 10
        packed uint64 stride = 20
        optional ValidPadding valid = 30
        optional SamePadding same = 31
        optional LastPixelPadding includeLastPixel = 32
        optional bool avgPoolExcludePadding = 50
        optional bool globalPooling = 60""",
    "InnerProductLayer": """
        optional uint64 inputChannels = 1
        optional uint64 outputChannels = 2
        optional bool hasBias = 10
        optional WeightParams weights = 20
        optional WeightParams bias = 21""",
    "Slope": "optional float alpha = 1",
    "Line": """
        optional float alpha = 1
        optional float beta = 2""",
    "Slopes": "optional WeightParams alpha = 1",
    "ActivationLayer": """
        optional Line linear = 5
        optional Empty ReLU = 10
        optional Slope leakyReLU = 15
        optional Slopes PReLU = 25
        optional Empty tanh = 30
        optional Empty sigmoid = 40""",
    "UnaryLayer": """
        optional int32 type = 1
        optional float alpha = 2
        optional float epsilon = 3
        optional float shift = 4
        optional float scale = 5""",
    "ConstantLayer": """
        packed uint64 shape = 1
        optional WeightParams data = 2""",
    "ReshapeLayer": "packed int64 targetShape = 1",
    "TransposeLayer": "packed uint64 axes = 1",
    "AxisLayer": "optional int64 axis = 1",
    "AxesLayer": """
        packed int64 axes = 1
        optional bool squeezeAll = 2""",
    "ReduceLayer": _AXES,
    "SliceLayer": """
        packed int64 beginIds = 1
        packed bool beginMasks = 2
        packed int64 endIds = 3
        packed bool endMasks = 4
        packed int64 strides = 5
        packed bool squeezeMasks = 6""",
    "ConstantPadLayer": """
        optional float value = 1
        packed uint64 padAmounts = 2
        optional bool padToGivenOutputSizeMode = 3""",
    "PaddingLayer": """
        optional Fill constant = 1
        optional Empty reflection = 2
        optional Empty replication = 3
        optional BorderAmounts paddingAmounts = 10""",
    "Fill": "optional float value = 1",
    "BatchedMatMulLayer": """
        optional bool transposeA = 1
        optional bool transposeB = 2
        optional uint64 weightMatrixFirstDimension = 5
        optional uint64 weightMatrixSecondDimension = 6
        optional bool hasBias = 7
        optional WeightParams weights = 8
        optional WeightParams bias = 9""",
    "ScaleLayer": """
        packed uint64 shapeScale = 1
        optional WeightParams scale = 2
        optional bool hasBias = 3
        packed uint64 shapeBias = 4
        optional WeightParams bias = 5""",
    "NetworkLayer": """
        optional string name = 1
        repeated string input = 2
        repeated string output = 3
        optional ConvolutionLayer convolution = 100
        optional PoolingLayer pooling = 120
        optional ActivationLayer activation = 130
        optional InnerProductLayer innerProduct = 140
        optional Empty softmax = 175
        optional PaddingLayer padding = 200
        optional UnaryLayer unary = 220
        optional Slope add = 230
        optional Slope multiply = 231
        optional ScaleLayer scale = 245
        optional Empty max = 260
        optional Empty concat = 320
        optional Empty copy = 600
        optional Empty minBroadcastable = 870
        optional Empty maxBroadcastable = 875
        optional Empty addBroadcastable = 880
        optional Empty powBroadcastable = 885
        optional Empty divideBroadcastable = 890
        optional Empty multiplyBroadcastable = 900
        optional Empty subtractBroadcastable = 905
        optional AxisLayer softmaxND = 950
        optional AxisLayer concatND = 980
        optional TransposeLayer transpose = 985
        optional SliceLayer sliceStatic = 995
        optional BatchedMatMulLayer batchedMatmul = 1045
        optional ConstantLayer loadConstantND = 1070
        optional AxesLayer squeeze = 1120
        optional AxesLayer expandDims = 1125
        optional ReshapeLayer reshapeStatic = 1140
        optional ConstantPadLayer constantPad = 1155
        optional ReduceLayer reduceMax = 1260
        optional ReduceLayer reduceSum = 1270
        optional ReduceLayer reduceMean = 1280
        optional ReduceLayer reduceSumSquare = 1290""",
}

LAYER_HEAD = ("name", "input", "output")
"""The fields of NetworkLayer that every layer has; the one other that is set is its type."""

RGB, BGR = 20, 30
"""Values of ImageFeatureType.colorSpace."""


@cache
def messages() -> dict[str, MessageClass]:
    """Return the message classes, built once."""
    return build_messages("faceall.coreml", {**_DESCRIPTION, **_PROGRAM, **_NETWORK})
