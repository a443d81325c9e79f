"""What files of PyTorch 1.0 to 2.13 may import: storages, rebuilding of tensors, layers, optimizers.

Found by saving tensors, state dictionaries, optimizers and a module of every kind with the libraries themselves.
`getattr` is for layers that wait for their sizes, and for schedules: `pickle_calls` lets it fetch their own methods of
a value that was made. Schedules call none before training goes on. `functools.partial` is for vision transformers,
which keep the layer that they were made with.
Left out on purpose: what loads further pickles (torch.storage._load_from_bytes) or compiles text (torch.fx).
"""

from __future__ import annotations

NAMES = """\
__builtin__: getattr
builtins: getattr
functools: partial
torch: ScriptObject
torch._tensor: _rebuild_from_type_v2
torch._utils: _rebuild_parameter_with_state
torch.ao.nn.intrinsic.quantized.modules.bn_relu: BNReLU2d BNReLU3d
torch.ao.nn.intrinsic.quantized.modules.conv_relu: ConvReLU1d ConvReLU2d ConvReLU3d
torch.ao.nn.intrinsic.quantized.modules.linear_relu: LinearReLU
torch.ao.nn.quantized.dynamic.modules.linear: Linear
torch.ao.nn.quantized.dynamic.modules.rnn: GRU GRUCell LSTM LSTMCell PackedParameter PackedRNNBase RNNBase RNNCell
  RNNCellBase
torch.ao.nn.quantized.modules: DeQuantize Quantize
torch.ao.nn.quantized.modules.activation: ELU Hardswish LeakyReLU PReLU ReLU6 Sigmoid Softmax
torch.ao.nn.quantized.modules.batchnorm: BatchNorm2d BatchNorm3d
torch.ao.nn.quantized.modules.conv: Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d
torch.ao.nn.quantized.modules.dropout: Dropout
torch.ao.nn.quantized.modules.embedding_ops: Embedding EmbeddingBag EmbeddingPackedParams
torch.ao.nn.quantized.modules.functional_modules: FXFloatFunctional FloatFunctional QFunctional
torch.ao.nn.quantized.modules.linear: Linear LinearPackedParams
torch.ao.nn.quantized.modules.normalization: GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm
torch.ao.quantization.stubs: DeQuantStub QuantStub
torch.nn.backends.thnn: _get_thnn_function_backend
torch.nn.intrinsic.quantized.modules.bn_relu: BNReLU2d BNReLU3d
torch.nn.intrinsic.quantized.modules.conv_relu: ConvReLU1d ConvReLU2d ConvReLU3d
torch.nn.intrinsic.quantized.modules.linear_relu: LinearReLU
torch.nn.modules.activation: CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax
  Mish MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink
  Softsign Tanh Tanhshrink Threshold
torch.nn.modules.adaptive: AdaptiveLogSoftmaxWithLoss
torch.nn.modules.batchnorm: BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d
  SyncBatchNorm
torch.nn.modules.channelshuffle: ChannelShuffle
torch.nn.modules.container: Container ModuleDict ModuleList ParameterDict ParameterList Sequential
torch.nn.modules.conv: Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d
  LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d
torch.nn.modules.distance: CosineSimilarity PairwiseDistance
torch.nn.modules.dropout: AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout
torch.nn.modules.flatten: Flatten Unflatten
torch.nn.modules.fold: Fold Unfold
torch.nn.modules.instancenorm: InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d
  LazyInstanceNorm3d
torch.nn.modules.linear: Bilinear Identity LazyLinear Linear NonDynamicallyQuantizableLinear _LinearWithBias
torch.nn.modules.loss: BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss
  HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss MultiLabelMarginLoss
  MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss SoftMarginLoss
  TripletMarginLoss TripletMarginWithDistanceLoss
torch.nn.modules.module: Module _WrappedHook
torch.nn.modules.normalization: CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm
torch.nn.modules.padding: CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d
  ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d
  ZeroPad3d
torch.nn.modules.pixelshuffle: PixelShuffle PixelUnshuffle
torch.nn.modules.pooling: AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
  AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d
  MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d
torch.nn.modules.rnn: GRU GRUCell LSTM LSTMCell RNN RNNCell RNNCellBase
torch.nn.modules.sparse: Embedding EmbeddingBag
torch.nn.modules.transformer: Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder
  TransformerEncoderLayer
torch.nn.modules.upsampling: Upsample UpsamplingBilinear2d UpsamplingNearest2d
torch.nn.parallel.data_parallel: DataParallel
torch.nn.parameter: Buffer Parameter
torch.nn.quantized.dynamic.modules.linear: Linear
torch.nn.quantized.dynamic.modules.rnn: GRU GRUCell LSTM LSTMCell PackedParameter PackedRNNBase RNNBase RNNCell
  RNNCellBase
torch.nn.quantized.modules: DeQuantize Quantize
torch.nn.quantized.modules.activation: ELU Hardswish LeakyReLU PReLU ReLU6 Sigmoid Softmax
torch.nn.quantized.modules.batchnorm: BatchNorm2d BatchNorm3d
torch.nn.quantized.modules.conv: Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d
torch.nn.quantized.modules.dropout: Dropout
torch.nn.quantized.modules.embedding_ops: Embedding EmbeddingBag EmbeddingPackedParams
torch.nn.quantized.modules.functional_modules: FXFloatFunctional FloatFunctional QFunctional
torch.nn.quantized.modules.linear: Linear LinearPackedParams
torch.nn.quantized.modules.normalization: GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm
torch.nn.utils.spectral_norm: SpectralNorm SpectralNormLoadStateDictPreHook SpectralNormStateDictHook
torch.nn.utils.weight_norm: WeightNorm
torch.optim: Adafactor
torch.optim.adadelta: Adadelta
torch.optim.adagrad: Adagrad
torch.optim.adam: Adam
torch.optim.adamax: Adamax
torch.optim.adamw: AdamW
torch.optim.asgd: ASGD
torch.optim.lbfgs: LBFGS
torch.optim.lr_scheduler: ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR
  ExponentialLR LinearLR MultiStepLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR
torch.optim.nadam: NAdam
torch.optim.radam: RAdam
torch.optim.rmsprop: RMSprop
torch.optim.rprop: Rprop
torch.optim.sgd: SGD
torch.optim.sparse_adam: SparseAdam
torch.optim.swa_utils: AveragedModel SWALR
torch.quantization.stubs: DeQuantStub QuantStub
torch.serialization: _get_layout
torch.utils.hooks: RemovableHandle
torchvision.models.alexnet: AlexNet
torchvision.models.convnext: CNBlock ConvNeXt LayerNorm2d
torchvision.models.densenet: DenseNet _DenseBlock _DenseLayer _Transition
torchvision.models.efficientnet: EfficientNet FusedMBConv MBConv
torchvision.models.googlenet: BasicConv2d GoogLeNet Inception InceptionAux
torchvision.models.inception: BasicConv2d Inception3 InceptionA InceptionAux InceptionB InceptionC InceptionD InceptionE
torchvision.models.maxvit: MBConv MaxVit MaxVitBlock MaxVitLayer PartitionAttentionLayer
  RelativePositionalMultiHeadAttention SwapAxes WindowDepartition WindowPartition
torchvision.models.mnasnet: MNASNet _InvertedResidual
torchvision.models.mobilenet: ConvBNReLU InvertedResidual MobileNetV2
torchvision.models.mobilenetv2: ConvBNReLU InvertedResidual MobileNetV2
torchvision.models.mobilenetv3: InvertedResidual MobileNetV3
torchvision.models.regnet: AnyStage BottleneckTransform RegNet ResBottleneckBlock SimpleStemIN
torchvision.models.resnet: BasicBlock Bottleneck ResNet
torchvision.models.shufflenetv2: InvertedResidual ShuffleNetV2
torchvision.models.squeezenet: Fire SqueezeNet
torchvision.models.swin_transformer: PatchMerging PatchMergingV2 ShiftedWindowAttention ShiftedWindowAttentionV2
  SwinTransformer SwinTransformerBlock SwinTransformerBlockV2
torchvision.models.vgg: VGG
torchvision.models.vision_transformer: Encoder EncoderBlock MLPBlock VisionTransformer
torchvision.ops.misc: Conv2dNormActivation Conv3dNormActivation ConvNormActivation FrozenBatchNorm2d MLP Permute
  SqueezeExcitation
torchvision.ops.stochastic_depth: StochasticDepth
"""
#: Called with any arguments: PyTorch checks them itself.
FREE = """\
torch: Size device
torch._utils: _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage _rebuild_parameter _rebuild_qtensor
  _rebuild_sparse_csr_tensor _rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3
torch.jit._pickle: build_boollist build_doublelist build_intlist build_tensorlist restore_type_tag
torch.nn.parameter: UninitializedBuffer UninitializedParameter
"""
#: Never called: functions, and types that storages and tensors name.
REFERRED = """\
torch: BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage DoubleStorage
  FloatStorage HalfStorage IntStorage LongStorage QInt32Storage QInt8Storage QUInt8Storage ShortStorage Tensor bfloat16
  bool channels_last complex128 complex64 contiguous_format float16 float32 float64 float8_e4m3fn float8_e5m2 int16
  int32 int64 int8 per_channel_affine per_tensor_affine preserve_format qint32 qint8 quint8 sparse_coo sparse_csr
  strided uint16 uint32 uint64 uint8
torch._C._nn: gelu
torch.cuda: BFloat16Storage BoolStorage ByteStorage CharStorage DoubleStorage FloatStorage HalfStorage IntStorage
  LongStorage ShortStorage
torch.nn.functional: elu gelu hardswish leaky_relu log_softmax mish relu relu6 selu sigmoid silu softmax tanh
torch.storage: TypedStorage UntypedStorage _TypedStorage _UntypedStorage
"""
