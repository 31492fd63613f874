import SwiftUI

@main
struct FaceAllExampleApp: App {
    @StateObject private var faces = FacesModel()

    var body: some Scene {
        WindowGroup {
            ContentView()
                .environmentObject(faces)
                .task { await faces.start() }
        }
    }
}
