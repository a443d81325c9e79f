WHO = "my model.py"
