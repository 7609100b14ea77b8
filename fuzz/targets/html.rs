#![no_main]

use keyward_mask::walk::{BodyFormat, Markup};
use keyward_mask::walk::fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::format_of(fuzz::profile(), BodyFormat::Markup(Markup::Html), data));
