"""What a shop says of its lists: merchandising rules, and the named scenarios in which they apply.

`rule` and `condition` are what a shop writes, `book` keeps what is in force, `plan` is that compiled for one
scenario, `arrange` the kernel that turns ranked candidates into the list that is shown.
"""
