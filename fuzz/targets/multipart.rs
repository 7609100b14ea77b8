#![no_main]

use keyward_mask::walk::fuzz;
use keyward_mask::walk::{BodyFormat, Boundary};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let format = Boundary::new("b").map_or(BodyFormat::Text, BodyFormat::Multipart);
    fuzz::format_of(fuzz::profile(), format, data);
});
