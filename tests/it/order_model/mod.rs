//! Orders of the real functions against a simple model of them, and their states one by one.

mod states;
