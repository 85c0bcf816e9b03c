"""Files as only accidents and attackers make them: a table of cases, and one check for all."""
