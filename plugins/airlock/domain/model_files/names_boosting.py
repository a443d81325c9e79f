"""What pickles of LightGBM 4 and CatBoost 1.2 may import beside what scikit-learn's may: their models.

Found by training and saving a model of every kind with the libraries themselves, alone and within scikit-learn's own.
Their constructors keep settings and train nothing; their states hold the trees as text or bytes. Left out on purpose:
LightGBM's data sets and the boosters of a cross validation, which no service predicts with.
"""

from __future__ import annotations

NAMES = """\
catboost.core: CatBoost CatBoostClassifier CatBoostRanker CatBoostRegressor
lightgbm.basic: Booster
lightgbm.sklearn: LGBMClassifier LGBMModel LGBMRanker LGBMRegressor
"""
