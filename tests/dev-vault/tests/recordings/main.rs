//! Replays the recorded exchanges with real servers against the double, every one of them and in order.

mod openbao_2_7;
mod replay;
#[path = "../support/mod.rs"]
mod support;
mod vault_1_8;

#[test]
fn every_recorded_exchange_is_answered_as_vault_1_8_did() {
    let mut replay = vault_1_8::start();
    let differing = replay.play(vault_1_8::RECORDING, vault_1_8::before);
    assert!(differing.is_empty(), "{} differ:\n{differing:#?}", differing.len());
    assert_eq!(replay.vault.requests().len(), 105);
}

#[test]
fn every_recorded_exchange_is_answered_as_openbao_2_7_did() {
    let mut replay = openbao_2_7::start();
    let mut differing = replay.play(openbao_2_7::RECORDING, openbao_2_7::before);
    for (name, reason) in openbao_2_7::NOT_PLAYED {
        assert!(differing.remove(name).is_some(), "{name} is played by now, and listed as not played: {reason}");
    }
    assert!(differing.is_empty(), "{} differ:\n{differing:#?}", differing.len());
    assert_eq!(replay.vault.requests().len(), 258);
}
