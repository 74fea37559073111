//! What comes out is what went in.

use super::*;

const CHUNK: usize = 256 * 1024;

#[tokio::test]
async fn bytes_come_back_whole_and_in_parts() {
    let server = Server::start().await;
    for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 9 * CHUNK + 12_345] {
        let mut bytes = noise(size, size as u64);
        bytes[0] = 0;
        let answer = server.post("anna", "main?name=a.bin").body(bytes.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let said: Value = answer.json().await.unwrap();
        let (file, hash) = (said["file"].as_str().unwrap().to_owned(), sha256(&bytes));
        let want = json!({ "file": file, "name": "a.bin", "mime": "application/octet-stream", "size_bytes": size,
                           "sha256": hash, "kind": "document" });
        assert_eq!(said, want);
        let path = format!("main/{file}");
        let whole = server.get("anna", &path).send().await.unwrap();
        assert_eq!((whole.status().as_u16(), header(&whole, "etag")), (200, format!("\"{hash}\"").as_str()));
        assert_eq!(header(&whole, "content-length"), size.to_string());
        assert!(whole.bytes().await.unwrap() == bytes, "{size} bytes");

        let mut ranges = vec![(0, 0), (0, size - 1), (size - 1, size - 1), (size / 2, size - 1)];
        let edges = [CHUNK - 1, CHUNK, 4 * CHUNK - 1, 4 * CHUNK, 8 * CHUNK - 1, 8 * CHUNK];
        ranges.extend(edges.iter().filter(|edge| **edge + 1 < size).map(|edge| (*edge, *edge + 1)));
        for pair in noise(24 * 8, 7).chunks_exact(8).map(|pair| pair.split_at(4)) {
            let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap()) as usize % size;
            let (one, other) = (number(pair.0), number(pair.1));
            ranges.push((one.min(other), one.max(other)));
        }
        for (first, last) in ranges {
            let part = server.get("anna", &path).header("range", format!("bytes={first}-{last}"));
            let part = part.send().await.unwrap();
            assert_eq!(part.status(), 206);
            assert_eq!(header(&part, "content-range"), format!("bytes {first}-{last}/{size}"));
            assert_eq!(header(&part, "content-length"), (last - first + 1).to_string());
            assert!(part.bytes().await.unwrap() == bytes[first..=last], "{first}-{last} of {size}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn conditions_are_kept() {
    let server = Server::start().await;
    let bytes = noise(1000, 3);
    let path = format!("main/{}", server.upload("anna", bytes.clone()).await);
    let etag = format!("\"{}\"", sha256(&bytes));
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = server.get("anna", &path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let weak = format!("W/{etag}");
    let list = format!("\"x\", {etag}");
    for known in [etag.as_str(), &weak, &list, "*"] {
        let answer = ask(&[("if-none-match", known), ("range", "bytes=0-1")]).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "etag")), (304, etag.as_str()), "{known}");
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(ask(&[("if-none-match", "\"x\"")]).await.status(), 200);
    for (condition, status) in
        [(etag.as_str(), 206), ("\"x\"", 200), (&weak, 200), ("Sat, 21 Nov 2026 09:00:00 GMT", 200)]
    {
        let answer = ask(&[("range", "bytes=10-19"), ("if-range", condition)]).await;
        assert_eq!(answer.status().as_u16(), status, "{condition}");
        let want = if status == 206 { &bytes[10..20] } else { &bytes };
        assert_eq!(answer.bytes().await.unwrap(), want);
    }
    for (range, status) in [("bytes=0-1,5-6", 200), ("bytes=9-8", 200), ("rows=0-1", 200), ("bytes=-10", 206)] {
        assert_eq!(ask(&[("range", range)]).await.status().as_u16(), status, "{range}");
    }
    assert_eq!(ask(&[("range", "bytes=0-1"), ("range", "bytes=5-6")]).await.status(), 200);
    for range in ["bytes=1000-", "bytes=-0", "bytes=18446744073709551616-"] {
        let answer = ask(&[("range", range)]).await;
        assert_eq!(header(&answer, "content-range"), "bytes */1000");
        assert_eq!(problem(answer).await, refused(416, "bad_range"), "{range}");
    }
    // HEAD knows no ranges, and says what GET would say.
    let (head, whole) = (server.client.head(server.url(&path)).bearer_auth(token("anna")), ask(&[]).await);
    let head = head.header("range", "bytes=0-1").send().await.unwrap();
    let without_date = |answer: &Response| {
        let mut headers = answer.headers().clone();
        headers.remove("date");
        headers
    };
    assert_eq!((head.status().as_u16(), without_date(&head)), (200, without_date(&whole)));
    assert!(head.bytes().await.unwrap().is_empty());
    server.stop().await;
}
