"""BudgetValidator: checks epsilon and attack AUC, and blesses the model or refuses it."""
