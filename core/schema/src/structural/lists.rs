//! List types: sets hold no value twice, maps no key.
