"""Tables, statements, transactions, migrations."""
