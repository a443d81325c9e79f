"""What pickles of any engine may import: Python's own plain types, NumPy, SciPy's sparse matrices, joblib's arrays.

No name is harmless with any arguments: what may be called, and with what, stands in `pickle_calls`. Found by training
and saving models of many kinds with the engines themselves.
"""

from __future__ import annotations

NAMES = """\
__builtin__: bool bytearray bytes dict float frozenset int list long object set str tuple type unicode
_codecs: encode
argparse: Namespace
builtins: bool bytearray bytes dict float frozenset int list object set str tuple type
collections: Counter OrderedDict defaultdict deque
copy_reg: _reconstructor
copyreg: _reconstructor
fractions: Fraction
joblib.numpy_pickle: NumpyArrayWrapper
numpy: dtype poly1d
numpy._core: _ufunc_reconstruct
numpy._core.multiarray: _reconstruct scalar
numpy._core.numeric: _frombuffer
numpy.core: _ufunc_reconstruct
numpy.core.multiarray: _reconstruct scalar
numpy.core.numeric: _frombuffer
numpy.ma.core: _mareconstruct
numpy.random: __RandomState_ctor
numpy.random._mt19937: MT19937
numpy.random._pcg64: PCG64
numpy.random._philox: Philox
numpy.random._pickle: __bit_generator_ctor __generator_ctor __randomstate_ctor
numpy.random._sfc64: SFC64
numpy.random.bit_generator: SeedSequence __pyx_unpickle_SeedSequence
pandas: BooleanDtype Categorical CategoricalDtype CategoricalIndex DataFrame DatetimeIndex Float64Dtype Index Int64Dtype
  IntervalIndex MultiIndex PeriodIndex RangeIndex Series TimedeltaIndex
pandas._libs.arrays: __pyx_unpickle_NDArrayBacked
pandas._libs.tslibs.offsets: Day Hour Micro Milli Minute Nano Second
pandas._libs.tslibs.timestamps: _unpickle_timestamp
pandas.arrays: BooleanArray DatetimeArray FloatingArray IntegerArray PeriodArray StringArray TimedeltaArray
pandas.core.arrays.boolean: BooleanArray BooleanDtype
pandas.core.arrays.categorical: Categorical
pandas.core.arrays.datetimes: DatetimeArray
pandas.core.arrays.integer: Int64Dtype IntegerArray
pandas.core.arrays.period: PeriodArray
pandas.core.arrays.timedeltas: TimedeltaArray
pandas.core.dtypes.dtypes: CategoricalDtype
pandas.core.frame: DataFrame
pandas.core.indexes.base: Index _new_Index
pandas.core.indexes.category: CategoricalIndex
pandas.core.indexes.datetimes: DatetimeIndex _new_DatetimeIndex
pandas.core.indexes.interval: IntervalIndex _new_IntervalIndex
pandas.core.indexes.multi: MultiIndex
pandas.core.indexes.numeric: Float64Index Int64Index UInt64Index
pandas.core.indexes.period: PeriodIndex
pandas.core.indexes.range: RangeIndex
pandas.core.indexes.timedeltas: TimedeltaIndex _new_TimedeltaIndex
pandas.core.series: Series
pandas.tseries.offsets: Day Hour Micro Milli Minute Nano Second
scipy.interpolate._bsplines: BSpline
scipy.sparse._bsr: bsr_array bsr_matrix
scipy.sparse._coo: coo_array coo_matrix
scipy.sparse._csc: csc_array csc_matrix
scipy.sparse._csr: csr_array csr_matrix
scipy.sparse._dia: dia_array dia_matrix
scipy.sparse._dok: dok_array dok_matrix
scipy.sparse._lil: lil_array lil_matrix
scipy.sparse.bsr: bsr_matrix
scipy.sparse.coo: coo_matrix
scipy.sparse.csc: csc_matrix
scipy.sparse.csr: csr_matrix
scipy.sparse.dia: dia_matrix
scipy.sparse.dok: dok_matrix
scipy.sparse.lil: lil_matrix
sklearn.externals.joblib.numpy_pickle: NumpyArrayWrapper
uuid: UUID
"""
#: Called with any arguments: they take numbers, texts and times, and look no further into what they are given.
FREE = """\
__builtin__: complex range slice xrange
builtins: complex range slice
datetime: date datetime time timedelta timezone
decimal: Decimal
pandas: PeriodDtype StringDtype
pandas._libs.internals: _unpickle_block
pandas._libs.tslibs.nattype: __nat_unpickle _nat_unpickle
pandas._libs.tslibs.timedeltas: _timedelta_unpickle
pandas.core.dtypes.dtypes: PeriodDtype
pandas.core.internals.blocks: new_block
pandas.core.internals.managers: BlockManager SingleBlockManager
"""
#: Never called: models keep functions and types as settings.
REFERRED = """\
__builtin__: Ellipsis NotImplemented
builtins: Ellipsis FutureWarning NotImplemented
exceptions: FutureWarning
numpy: absolute add amax amin arcsinh argmax argmin array asarray bool bool_ bytes_ cbrt ceil clip complex128 complex64
  concatenate cos cosh cumsum datetime64 deg2rad diff divide exp expm1 float16 float32 float64 floor hstack int16 int32
  int64 int8 isnan log log10 log1p log2 longdouble matrix max maximum mean median min minimum multiply nan_to_num
  ndarray number object_ power prod ravel recarray reciprocal record reshape rint round round_ sign sin sinh sqrt square
  squeeze std str_ subtract sum tan tanh timedelta64 transpose true_divide uint16 uint32 uint64 uint8 unique var void
  vstack where
numpy.core._multiarray_umath: absolute add arcsinh cbrt ceil cos cosh deg2rad divide exp expm1 floor isnan log log10
  log1p log2 maximum minimum multiply power reciprocal rint sign sin sinh sqrt square subtract tan tanh
numpy.ma: MaskedArray
numpy.ma.core: MaskedArray
numpy.rec: recarray
pandas: NA
pandas._libs.missing: NA
scipy._lib.array_api_compat.numpy._aliases: asarray
"""
