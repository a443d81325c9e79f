"""Base class and model file of each engine, for a server started by hand; images set both in their environment."""

from __future__ import absolute_import

# Engine: (base class, how model_path is found; see home.find_model).
ENGINES = {
    "TensorFlow": ("model_service.tfserving_model_service:TfServingBaseService", "folder"),
    "MXNet": ("mms.model_service.mxnet_model_service:MXNetBaseService", "folder"),
    "Caffe": ("model_service.caffe_model_service:CaffeBaseService", "folder"),
    "Spark_MLlib": ("model_service.spark_model_service:SparkServingBaseService", "dir:spark_model"),
    "Scikit_Learn": ("model_service.python_model_service:XgSklServingBaseService", "*.m"),
    "XGBoost": ("model_service.python_model_service:XgSklServingBaseService", "*.m"),
    "PyTorch": ("model_service.pytorch_model_service:PTServingBaseService", "*.pth,*.pt"),
    "ONNX": ("model_service.onnx_model_service:OnnxServingBaseService", "*.onnx"),
    "LightGBM": ("model_service.lightgbm_model_service:LightGbmServingBaseService", "*.lgb,*.m"),
    "CatBoost": ("model_service.catboost_model_service:CatBoostServingBaseService", "*.cbm,*.m"),
    "Transformers": ("model_service.transformers_model_service:TransformersServingBaseService", "folder"),
    "MindSpore": ("model_service.model_service:SingleNodeService", "folder"),
}
OTHER = ("model_service.model_service:SingleNodeService", "folder")
