"""The ops page: what is wrong at a glance, and what a person does about it. It decides nothing."""
