#![no_main]

use keyward_mask::walk::BodyFormat;
use keyward_mask::walk::fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::format_of(fuzz::profile(), BodyFormat::Ndjson, data));
