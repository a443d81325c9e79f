clightgbm.basic
Dataset
(S'/etc/passwd'
tR.