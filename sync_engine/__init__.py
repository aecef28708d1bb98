"""Stage, correlate, plan, guard, apply and record: the core tracking database and its runs."""
