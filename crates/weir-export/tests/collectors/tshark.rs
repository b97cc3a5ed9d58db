//! What tshark makes of datagrams.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;
use weir_tests::folder::Folder;

/// Where the datagrams of a capture go.
const PORT: u16 = 2055;

/// Every datagram that waits at a socket.
pub fn received(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut buffer = vec![0; 65_536];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())).collect()
}

/// What its dissector of NetFlow says of them, in words.
pub fn dissected(messages: &[Vec<u8>]) -> String {
    let folder = Folder::new("tshark");
    let file = folder.write("flows.pcap", capture(messages));
    let decode = format!("udp.port=={PORT},cflow");
    let mut tshark = Command::new("tshark");
    // Usually it takes no more than 60 fields in a template.
    tshark.args(["-o", "cflow.max_template_fields:0", "-r", &file, "-d", &decode, "-V", "-O", "cflow"]);
    let output = tshark.output().expect("tshark is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A file of pcap, of packets that begin with IP (LINKTYPE_RAW).
pub fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 0x4_0000, 101];
    let mut file: Vec<u8> = header.into_iter().flat_map(u32::to_be_bytes).collect();
    for message in messages {
        let length = 28 + message.len();
        [0, 0, length as u32, length as u32].iter().for_each(|word| file.extend(word.to_be_bytes()));
        // Without checksums: nobody has looked at them yet.
        file.extend([0x45, 0]);
        file.extend((length as u16).to_be_bytes());
        file.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        [PORT, PORT, length as u16 - 20, 0].iter().for_each(|word| file.extend(word.to_be_bytes()));
        file.extend(message);
    }
    file
}
