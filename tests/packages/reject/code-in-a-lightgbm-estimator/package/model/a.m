clightgbm.sklearn
LGBMClassifier
0cposix
system
(S'true'
tR.