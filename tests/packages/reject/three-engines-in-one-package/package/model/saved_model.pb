
*1.8.0

n0Placeholder