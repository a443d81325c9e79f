€Nrÿÿÿ0cposix
system
Uid…R.