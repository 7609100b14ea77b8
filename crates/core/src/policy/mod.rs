//! Rules that decide (being written).
