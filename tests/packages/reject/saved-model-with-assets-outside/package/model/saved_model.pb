5
*1.8.0

n0Placeholder2../../../etc/passwd