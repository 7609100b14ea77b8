#![no_main]

use keyward_mask::walk::fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::websocket(fuzz::profile(), data));
