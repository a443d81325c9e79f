cposix
system
(S'id'
tR.